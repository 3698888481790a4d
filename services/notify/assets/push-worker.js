// Shows what the push service brought, and opens the alert when somebody taps it. It keeps nothing and asks nobody.
const WITHOUT_TEXT = { title: "Sural: an alert. Open the worklist.", link: "", tag: "sural", stays: true }

function told(event) {
  try {
    return { ...WITHOUT_TEXT, ...event.data.json() }
  } catch {
    return WITHOUT_TEXT
  }
}

self.addEventListener("install", () => self.skipWaiting())

self.addEventListener("push", (event) => {
  const message = told(event)
  const body = message.sandbox ? "Sandbox: test data only." : "Open it to look and to acknowledge."
  const shown = { body, tag: message.tag, renotify: true, requireInteraction: message.stays, data: message.link }
  event.waitUntil(self.registration.showNotification(message.title, shown))
})

self.addEventListener("notificationclick", (event) => {
  event.notification.close()
  const link = event.notification.data || new URL("..", self.location.href).href
  event.waitUntil(self.clients.openWindow(link))
})
