-- At every moment at most one version of a campaign is valid, and exactly one version of each is the current one.
{{ blocks_nothing() }}
select
    platform,
    account_id,
    campaign_id,
    version_no,
    valid_from_at,
    valid_to_at,
    next_from_at,
    current_versions
from (
    select
        platform,
        account_id,
        campaign_id,
        version_no,
        valid_from_at,
        valid_to_at,
        lead(valid_from_at) over (partition by platform, account_id, campaign_id order by version_no) as next_from_at,
        sum(case when is_current then 1 else 0 end) over (partition by platform, account_id, campaign_id)
            as current_versions
    from {{ ref('dim_campaign') }}
) as versions
where
    valid_to_at > next_from_at
    or valid_to_at <= valid_from_at
    or current_versions <> 1
