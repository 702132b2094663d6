{{ receipts('facebook_ads') }}
