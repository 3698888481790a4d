// Subscribes this browser to messages and hands the subscription to the form, which is then sent as any other.
const form = document.getElementById("this-device")
const said = document.getElementById("push-said")
const button = form.querySelector("button")

const WORDS = {
  unable: "This browser cannot show messages. Try another, or install this page on the home screen first.",
  denied: "This browser may not show messages from here. Allow notifications in its settings, then come back.",
  failed: "The push service of this browser did not answer. Try again in a moment.",
}

function bytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"))
  return Uint8Array.from(plain, (character) => character.charCodeAt(0))
}

function text(buffer) {
  return btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
}

async function subscribe() {
  if ((await Notification.requestPermission()) !== "granted") return WORDS.denied
  await navigator.serviceWorker.register(form.dataset.worker)
  const worker = await ready()
  const old = await worker.pushManager.getSubscription()
  if (old) await old.unsubscribe()
  const applicationServerKey = bytes(form.dataset.key)
  const made = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey })
  form.elements.endpoint.value = made.endpoint
  form.elements.p256dh.value = text(made.getKey("p256dh"))
  form.elements.auth.value = text(made.getKey("auth"))
  return ""
}

// The worker's scope is that of its own address, so `serviceWorker.ready`, which asks for this page's, would never come.
async function ready() {
  const registration = await navigator.serviceWorker.getRegistration(form.dataset.worker)
  const coming = registration.installing ?? registration.waiting
  if (!registration.active && coming) {
    await new Promise((done) => coming.addEventListener("statechange", () => coming.state === "activated" && done()))
  }
  return registration
}

if ("serviceWorker" in navigator && "PushManager" in window && "Notification" in window) {
  said.textContent = ""
  button.disabled = false
  form.addEventListener("submit", async (event) => {
    event.preventDefault()
    button.disabled = true
    said.textContent = "One moment ..."
    const wrong = await subscribe().catch(() => WORDS.failed)
    said.textContent = wrong
    button.disabled = false
    if (!wrong) form.submit()
  })
} else {
  said.textContent = WORDS.unable
}
