"""What streams promise, and whether they keep it: rates, business hours, objectives and their error budgets. Pure."""
