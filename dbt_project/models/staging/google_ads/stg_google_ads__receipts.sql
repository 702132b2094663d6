{{ receipts('google_ads') }}
