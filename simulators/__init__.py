"""The advertising platforms as local servers, with one deterministic business behind them."""
