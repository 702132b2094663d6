{{ receipts('kafka') }}
