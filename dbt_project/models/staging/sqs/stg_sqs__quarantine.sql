{{ quarantined('sqs', 'queue_name') }}
