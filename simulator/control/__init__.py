"""What Dots does not have: `/_control`, with which tests and developers steer the simulator."""
