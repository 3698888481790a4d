"""For the people who write and review packs: what is wrong with one, how two differ, one as readable pages."""
