{{ receipts('rds') }}
