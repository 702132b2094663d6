-- No field without which the star would be wrong has vanished or changed its shape.
{{ config(meta={'subjects': ['facebook_ads', 'google_ads', 'clevertap', 'rds', 'sqs', 'kafka', 'http_json']}) }}
{{ blocks_nothing() }}
select * from {{ ref('rpt_field_drift') }}
where is_required
