-- One row for each search term, match type, keyword, ad group and day.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
select
    account_id,
    date_day,
    campaign_id,
    ad_group_id,
    search_term,
    match_type,
    keyword_text,
    count(*) as fact_rows
from {{ ref('fact_search_term_performance') }}
where {{ in_unverified_days('date_day', 'fact_search_term_performance') }}
group by
    account_id,
    date_day,
    campaign_id,
    ad_group_id,
    search_term,
    match_type,
    keyword_text
having count(*) > 1
