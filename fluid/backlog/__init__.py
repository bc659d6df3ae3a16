"""What is computed about backlogs: fast rules, exact optima, certified lower bounds."""
