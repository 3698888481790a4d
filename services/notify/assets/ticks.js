// Ages and times left, counted on by the clock of the server: the machine that shows the page may be minutes off.

const SECOND = 1000
let serverMinusOurs = 0

// What words.py says too (age_words).
export function ageWords(seconds) {
  const whole = Math.max(Math.floor(seconds), 0)
  const minutes = Math.floor(whole / 60), hours = Math.floor(whole / 3600), days = Math.floor(whole / 86400)
  if (minutes === 0) return `${whole} s`
  if (hours === 0) return `${minutes} min`
  if (days === 0) return `${hours} h ${minutes % 60} min`
  return `${days} d ${hours % 24} h`
}

// What words.py says too (left_words).
export function leftWords(seconds) {
  const whole = Math.trunc(seconds)
  if (whole <= 0) return "now"
  if (whole < 60) return `in ${whole} s`
  if (whole < 3600) return `in ${Math.floor(whole / 60)} min ${whole % 60} s`
  return `in ${ageWords(whole)}`
}

export function setClock(serverTime) {
  serverMinusOurs = Date.parse(serverTime) - Date.now()
}

export function serverNow() {
  return Date.now() + serverMinusOurs
}

export function tick() {
  const now = serverNow()
  for (const element of document.querySelectorAll("[data-tick]")) {
    const at = Date.parse(element.dataset.at ?? element.dateTime)
    const words = element.dataset.tick === "age" ? ageWords((now - at) / SECOND) : leftWords((at - now) / SECOND)
    if (element.textContent !== words) element.textContent = words
  }
}

export function startTicking() {
  tick()
  setInterval(tick, SECOND)
}
