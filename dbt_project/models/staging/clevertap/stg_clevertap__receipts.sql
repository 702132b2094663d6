{{ receipts('clevertap') }}
