// The worklist by keyboard: j and k move, Enter opens (the focus is on a link), a acknowledges after a question,
// / searches, ? shows the keys. They can be turned off (WCAG 2.1.4), as who speaks to a machine presses keys by speaking.

import { changedJustNow } from "./swap.js"

const SWITCH = "sural-keys"
const byId = (id) => document.getElementById(id)

export function listenToKeys(say) {
  const help = byId("help"), on = byId("keys-on"), button = byId("help-button")
  on.checked = localStorage.getItem(SWITCH) !== "off"
  on.addEventListener("change", () => localStorage.setItem(SWITCH, on.checked ? "on" : "off"))
  button.hidden = false
  button.addEventListener("click", () => help.showModal())
  byId("help-close").addEventListener("click", () => help.close())

  const does = {
    j: () => move(1),
    k: () => move(-1),
    a: () => acknowledge(say),
    "/": () => byId("search").focus(),
    "?": () => help.showModal(),
  }
  document.addEventListener("keydown", (event) => {
    const writes = event.target.closest("input, select, textarea, dialog")
    if (!on.checked || writes || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(does, event.key)) return
    event.preventDefault()
    does[event.key]()
  })
  guardForms(say)
}

const rows = () => [...document.querySelectorAll("#list article")]
const present = () => document.activeElement.closest("#list article")

function move(by) {
  const all = rows(), at = all.indexOf(present())
  const row = all[at < 0 ? 0 : Math.min(Math.max(at + by, 0), all.length - 1)]
  row?.querySelector("h3 a").focus()
}

function acknowledge(say) {
  const row = present(), form = row?.querySelector("form.acknowledge")
  if (!form) return say("Go to an alert that waits, then press a.")
  const name = form.querySelector("input[name=name]")
  if (!name.value.trim()) {
    name.focus()
    return say("Give your name first.")
  }
  ask(row, form)
}

let lastQuestion = new AbortController()

function ask(row, form) {
  const dialog = byId("confirm"), yes = byId("confirm-yes"), no = byId("confirm-no")
  const words = (part) => row.querySelector(part).textContent.replace(/\s+/g, " ").trim()
  byId("confirm-what").textContent = `${words(".urgency")}: ${words("h3")}`
  // The form as it was shown when the question was put: what changes meanwhile is refused, not acknowledged unseen.
  const asked = form.cloneNode(true)
  asked.hidden = true
  lastQuestion.abort()
  const answered = lastQuestion = new AbortController(), once = { signal: answered.signal }
  yes.addEventListener("click", () => { document.body.append(asked); asked.submit() }, once)
  no.addEventListener("click", () => dialog.close(), once)
  dialog.addEventListener("close", () => {
    if (dialog.open) return // that of the question before, which is told of late
    answered.abort()
    byId(row.id)?.querySelector("h3 a").focus()
  }, once)
  dialog.showModal()
  yes.focus()
}

// A press on a row that changed in the last second was meant for what stood there before.
function guardForms(say) {
  document.addEventListener("submit", (event) => {
    const row = event.target.closest("#list article")
    if (!row || !changedJustNow(row)) return
    event.preventDefault()
    say("This alert appeared or changed just now. Look at it, then press again.")
  })
}
