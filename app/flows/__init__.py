"""The rules, in plain Python: steps, progress, verdicts, events, schedules. No input, no output."""
