"""What goes over the wire: messages, frames, names of feeds, problems."""
