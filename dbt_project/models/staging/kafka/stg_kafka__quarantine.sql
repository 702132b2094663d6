{{ quarantined('kafka', 'topic') }}
