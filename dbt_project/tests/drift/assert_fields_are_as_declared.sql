-- Every raw field is one that the sources declare, still delivered and of its declared shape; new ones, vanished ones
-- and those of another shape are named.
{{
    config(
        severity='warn',
        meta={
            'severity': 'minor',
            'subjects': ['facebook_ads', 'google_ads', 'clevertap', 'rds', 'sqs', 'kafka', 'http_json'],
        },
    )
}}
{{ blocks_nothing() }}
select * from {{ ref('rpt_field_drift') }}
