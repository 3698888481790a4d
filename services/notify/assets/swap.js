// Puts a new list in place of the old one without taking anything out of somebody's hands: rows that are as they were
// stay the same elements, what is focused or typed stays so, and the row that is looked at stays where it is.

// A press on a row that changed so shortly before was meant for what stood there.
const EYES_NEED_MS = 1000

const changedAt = new WeakMap()

export function changedJustNow(row) {
  return performance.now() - (changedAt.get(row) ?? -Infinity) < EYES_NEED_MS
}

// Returns the rows that are new among those that wait.
export function swap(list, html) {
  const template = document.createElement("template")
  template.innerHTML = html
  const old = new Map([...list.querySelectorAll("article")].map((row) => [row.id, row]))
  const waited = new Set([...list.querySelectorAll("#waiting article")].map((row) => row.id))
  const focus = remember(list), anchor = anchorOf(list)

  list.querySelector("#list-top").replaceWith(template.content.querySelector("#list-top"))
  for (const section of template.content.querySelectorAll("section")) {
    fill(list.querySelector(`#${section.id}`), section, old)
  }

  restore(list, focus)
  keepInPlace(anchor)
  return [...list.querySelectorAll("#waiting article")].filter((row) => !waited.has(row.id))
}

// Makes a section look as the new one does, moving as little as possible.
function fill(section, to, old) {
  const rows = [...to.querySelectorAll("article")].map((row) => kept(old.get(row.id), row))
  const stay = new Set(rows)
  for (const child of [...section.children]) {
    if (child.matches("article") ? !stay.has(child) : !child.matches("h2")) child.remove()
  }
  section.querySelector("h2").replaceChildren(...to.querySelector("h2").childNodes)
  let last = section.querySelector("h2")
  for (const row of rows) {
    if (last.nextElementSibling !== row) last.after(row)
    last = row
  }
  section.append(...[...to.children].filter((child) => !child.matches("h2, article")))
}

// The old element where it says the same as the new one, else the new one with what was typed into the old.
function kept(old, row) {
  if (old && old.dataset.version === row.dataset.version && fieldsOf(old) === fieldsOf(row)) {
    old.classList.remove("changed")
    return old
  }
  changedAt.set(row, performance.now())
  row.classList.add("changed")
  const typed = old?.querySelector("form input:not([type=hidden])")
  const field = row.querySelector("form input:not([type=hidden])")
  if (typed && field) field.value = typed.value
  return row
}

function fieldsOf(row) {
  return [...row.querySelectorAll("input[type=hidden]")].map((field) => `${field.name}=${field.value}`).join("&")
}

function remember(list) {
  const focused = document.activeElement
  if (!focused || !list.contains(focused)) return null
  const selection = focused.matches("input") ? [focused.selectionStart, focused.selectionEnd] : null
  return { element: focused, row: focused.closest("article")?.id, selection }
}

// The same element, its like in the row that took the row's place, or the row's link.
function restore(list, focus) {
  if (!focus || document.activeElement === focus.element) return
  const row = focus.row ? document.getElementById(focus.row) : list
  const like = focus.element.isConnected ? focus.element : document.getElementById(focus.element.id)
  const link = [...(row ?? list).querySelectorAll("a")].find((one) => one.href === focus.element.href)
  const target = like ?? link ?? row?.querySelector("h3 a")
  target?.focus({ preventScroll: true })
  if (focus.selection && target?.matches("input")) target.setSelectionRange(...focus.selection)
}

// The row with the focus, else the one under the pointer, else the first that can be seen below the top.
function anchorOf(list) {
  const row = document.activeElement?.closest("#list article") ?? list.querySelector("article:hover") ?? firstInSight(list)
  return row ? { id: row.id, top: row.getBoundingClientRect().top } : null
}

function firstInSight(list) {
  if (scrollY === 0) return null // who is at the top wants to see what comes there
  return [...list.querySelectorAll("article")].find((row) => row.getBoundingClientRect().bottom > 0)
}

function keepInPlace(anchor) {
  const row = anchor ? document.getElementById(anchor.id) : null
  if (row) scrollBy({ top: row.getBoundingClientRect().top - anchor.top, behavior: "instant" })
}
