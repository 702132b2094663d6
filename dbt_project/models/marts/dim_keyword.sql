{{
    config(
        indexes=[{'columns': ['keyword_key'], 'unique': true}],
        dist='all',
        sort='keyword_key',
    )
}}
with newest as (
    select
        *,
        {{ entity_key(["'google_ads'", 'account_id', 'ad_group_id'], 'criterion_id') }} as keyword_key,
        row_number() over (
            partition by account_id, ad_group_id, criterion_id
            order by version_no desc, keyword_text
        ) as recency
    from {{ ref('stg_google_ads__keywords') }}
    where criterion_id is not null and keyword_text is not null
),

known as (
    select * from newest
    where recency = 1
),

inferred as (
    select
        facts.keyword_key,
        facts.account_id,
        facts.ad_group_id,
        facts.criterion_id,
        max(facts.campaign_id) as campaign_id,
        max(facts.keyword_text) as keyword_text,
        max(facts.match_type) as match_type
    from {{ ref('fact_keyword_performance') }} as facts
    left join known
        on facts.keyword_key = known.keyword_key
    where
        facts.criterion_id is not null
        and known.keyword_key is null
    group by facts.keyword_key, facts.account_id, facts.ad_group_id, facts.criterion_id
)

select
    keyword_key,
    cast('google_ads' as {{ type_text() }}) as platform,
    account_id,
    campaign_id,
    ad_group_id,
    criterion_id,
    keyword_text,
    match_type,
    status,
    cast(quality_score as integer) as quality_score,
    coalesce(is_negative, false) as is_negative,
    not is_current or status = 'REMOVED' as is_deleted,
    false as is_inferred
from known
union all
select
    keyword_key,
    'google_ads' as platform,
    account_id,
    campaign_id,
    ad_group_id,
    criterion_id,
    keyword_text,
    match_type,
    null as status,
    null as quality_score,
    false as is_negative,
    false as is_deleted,
    true as is_inferred
from inferred
union all
select
    {{ unknown_key() }} as keyword_key,
    'unknown' as platform,
    null as account_id,
    null as campaign_id,
    null as ad_group_id,
    null as criterion_id,
    'Unknown keyword' as keyword_text,
    null as match_type,
    null as status,
    null as quality_score,
    false as is_negative,
    false as is_deleted,
    true as is_inferred
