"""The control plane: messages between driver, agents and trainers, and the rules behind them."""
