// The worklist looks for new alerts by itself.
setTimeout(() => location.reload(), 15000)
