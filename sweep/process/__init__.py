"""This process and its children: environment, signals, import order, working folder."""
