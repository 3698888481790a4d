// Hears of changes by server-sent events, and asks for the list itself every 15 s while it cannot. Says when it knows
// that the list is fresh, and when it does not any more.

const BEATS_MISSING_MS = 12_000 // the server sends a beat every 5 s
const POLL_MS = 15_000 // while there is no stream
const LOST_POLL_MS = 2_000 // while the list may be old
const REFRESH_MS = 60_000 // in any case
const PATIENCE_MS = 8_000 // for one answer
const APART_MS = 1_000 // between two requests for the list
const REOPEN_MS = [1_000, 2_000, 4_000, 8_000, 15_000]

// `show(html)` puts a list on the page and returns the number of its newest change; `fresh()` and `lost()` are told
// whether the page shows what is stored now.
export function live({ eventsAddress, listAddress, change, show, fresh, lost }) {
  let stream = null, reopens = 0, reopenTimer = 0
  let heard = performance.now(), asked = -Infinity
  let asking = false, askAgain = false, isLost = false

  function open() {
    clearTimeout(reopenTimer)
    if (stream || document.hidden) return
    heard = performance.now()
    stream = new EventSource(`${eventsAddress}?since=${change}`)
    stream.addEventListener("beat", () => {
      hear()
      if (!isLost) fresh() // nothing changed since the list was put here
    })
    stream.addEventListener("change", () => { hear(); refresh() })
    stream.addEventListener("error", broken)
  }

  function hear() {
    heard = performance.now()
    reopens = 0
  }

  function close() {
    stream?.close()
    stream = null
  }

  function broken() {
    close()
    clearTimeout(reopenTimer)
    reopenTimer = setTimeout(open, REOPEN_MS[Math.min(reopens++, REOPEN_MS.length - 1)])
    refresh()
  }

  async function refresh() {
    if (asking) { askAgain = true; return }
    asking = true
    const early = asked + APART_MS - performance.now()
    if (early > 0) await new Promise((wake) => setTimeout(wake, early))
    do {
      askAgain = false
      asked = performance.now()
      await ask()
    } while (askAgain)
    asking = false
  }

  async function ask() {
    try {
      const answer = await fetch(listAddress, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) })
      // Nobody is signed in any more, or this is not for them any more: the page itself says what to do.
      if (answer.redirected || [401, 403].includes(answer.status)) return location.reload()
      if (!answer.ok) throw new Error(`status ${answer.status}`)
      change = show(await answer.text())
      if (isLost) open()
      isLost = false
      fresh()
    } catch {
      isLost = true
      lost()
    }
  }

  function watch() {
    const now = performance.now()
    if (stream && now - heard > BEATS_MISSING_MS) return broken()
    const every = isLost ? LOST_POLL_MS : stream ? REFRESH_MS : POLL_MS
    if (now - asked > every) refresh()
  }

  // A page that nobody sees holds no stream: browsers give one site few connections. It still asks every 15 s.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close()
    refresh()
    open()
  })
  addEventListener("offline", () => { isLost = true; lost() })
  addEventListener("online", refresh)
  addEventListener("pageshow", (event) => { if (event.persisted) refresh() })

  asked = performance.now()
  setInterval(watch, 1_000)
  open()
}
