{{ receipts('sqs') }}
