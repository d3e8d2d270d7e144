"""How pages look: sizes of screens, colours, directions of texts."""
