-- No set of entities lists one thing twice in different states: a page that was served twice and differs is named.
{{ blocks_nothing() }}
{%- set lists = {
    'stg_facebook_ads__campaigns': 'campaign_id',
    'stg_facebook_ads__ad_sets': 'ad_set_id',
    'stg_facebook_ads__ads': 'ad_id',
    'stg_google_ads__campaigns': 'campaign_id',
    'stg_google_ads__ad_groups': 'ad_group_id',
    'stg_google_ads__ads': "ad_group_id || '~' || ad_id",
    'stg_google_ads__keywords': "ad_group_id || '~' || criterion_id",
    'stg_google_ads__conversion_actions': 'conversion_action_id',
} %}
{%- for model, id in lists.items() %}
select
    '{{ model }}' as model_name,
    account_id,
    {{ id }} as id,
    min(read_at) as read_at,
    count(*) as listed
from {{ ref(model) }}
where is_current
group by account_id, {{ id }}
having count(*) > 1
{{ 'union all' if not loop.last }}
{%- endfor %}
