{{ receipts('http_json') }}
