{{
    config(
        materialized='table',
        indexes=[{'columns': ['partition_key']}],
        post_hook="{{ share_among_workers() }}",
    )
}}
{{ set_versions('kafka') }}
