{{
    config(
        materialized='table',
        indexes=[{'columns': ['partition_key']}],
        post_hook="{{ share_among_workers() }}",
    )
}}
-- A table, because every view of this layer joins it; analyzed, so that a set is looked up in raw's index.
{{ set_versions('facebook_ads', totals={
    'impressions': to_money(json_text('versions.totals', 'impressions')),
    'clicks': to_money(json_text('versions.totals', 'clicks')),
    'spend': to_money(json_text('versions.totals', 'spend')),
}) }}
