"""Web Push: who asked to be told on which device, and how a message gets there without anybody else reading it."""
