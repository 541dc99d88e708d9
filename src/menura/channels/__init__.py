"""Named channels that carry audio and other values from publishers to subscribers, in a process or across machines."""
