{{
    config(
        materialized='table',
        indexes=[{'columns': ['partition_key']}],
        post_hook="{{ share_among_workers() }}",
    )
}}
-- A table, because every view of this layer joins it; analyzed, so that a set is looked up in raw's index.
{{ set_versions('google_ads', totals={
    'impressions': to_money(json_text('versions.totals', 'metrics__impressions')),
    'clicks': to_money(json_text('versions.totals', 'metrics__clicks')),
    'spend': from_micros(json_text('versions.totals', 'metrics__cost_micros')),
}) }}
