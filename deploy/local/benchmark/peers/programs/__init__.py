"""Programs of peers, run in folders of their own with their own packages; nothing of ours imports them."""
