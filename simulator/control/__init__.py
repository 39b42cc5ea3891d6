"""The control API, `/_control`: tests and developers control the simulator with it. Dots has no such API."""
