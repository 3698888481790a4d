// The worklist keeps itself up to date, says what is new, and can be used by keyboard. Without this script the page is
// the same but for that: it reloads itself every 15 s.

import { listenToKeys } from "./keys.js"
import { live } from "./live.js"
import { swap } from "./swap.js"
import { serverNow, setClock, startTicking, tick } from "./ticks.js"

const SAID_MS = 20_000
const byId = (id) => document.getElementById(id)
const list = byId("list"), banner = byId("lost"), news = byId("news"), updated = byId("updated")
const title = document.title.replace(/^\(\d+\) /, "")
const state = () => byId("list-state").dataset
let isLost = false, silence = 0

// For those who see it too, as what is new may stand above what they look at.
function say(words) {
  news.textContent = words
  clearTimeout(silence)
  silence = setTimeout(() => { news.textContent = "" }, SAID_MS)
}

function show(html) {
  const added = swap(list, html)
  if (added.length) say(newsOf(added))
  document.title = state().waiting > 0 ? `(${state().waiting}) ${title}` : title
  setClock(state().now)
  tick()
  return Number(state().change)
}

function newsOf(added) {
  const words = (row, part) => row.querySelector(part).textContent.replace(/\s+/g, " ").trim()
  const first = added.slice(0, 3).map((row) => `${words(row, ".urgency")}: ${words(row, "h3")}`)
  const others = added.length - first.length
  return `New: ${first.join(". ")}${others ? `, and ${others} more` : ""}.`
}

function fresh() {
  isLost = false
  banner.hidden = true
  updated.textContent = `${new Date(serverNow()).toISOString().slice(11, 19)} UTC`
}

function lost() {
  if (isLost) return
  isLost = true
  banner.textContent = `Connection lost: this list may be old since ${updated.textContent}. New alerts are not shown.`
  banner.hidden = false
}

setClock(state().now)
startTicking()
listenToKeys(say)

const here = new URL(location.href)
here.hash = ""
const listAddress = new URL(here)
listAddress.searchParams.set("part", "list")
live({
  eventsAddress: `${here.pathname}/events`,
  listAddress,
  change: Number(state().change),
  show,
  fresh,
  lost,
})
