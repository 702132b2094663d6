-- No text of a mart about people looks like an e-mail address, a telephone number or an IP address: pseudonyms only.
-- Loops in loops are too much for the linter of indents.
-- noqa: disable=LT02
{{ blocks_nothing() }}
{%- set models = [
    ref('dim_user'), ref('dim_product'), ref('dim_device'), ref('fact_sales'), ref('fact_user_event'),
    ref('fact_user_login'), ref('bridge_user_campaign_touch'), ref('fact_site_event'), ref('fact_site_session'),
] %}
{%- set patterns = {
    'email': '[^[:space:]@/?&=]+(@|%40)[^[:space:]@/?&=]+[.][a-zA-Z]{2,}',
    'phone': '(^|[^0-9a-zA-Z])([+]|%2B)[0-9]{8,15}([^0-9]|$)',
    'ip': '(^|[^0-9.])([0-9]{1,3}[.]){3}[0-9]{1,3}([^0-9.]|$)',
} %}
{%- set found = [] %}
{%- if execute %}
    {%- for model in models %}
        {%- set columns = graph.nodes['model.adstar.' ~ model.identifier].columns.values() %}
        {%- for column in columns if column.data_type == 'text' %}
            {%- for kind, pattern in patterns.items() if not (kind == 'ip' and column.name.endswith('_version')) %}
                {%- do found.append(
                    "select '" ~ model.identifier ~ "' as mart, '" ~ column.name ~ "' as mart_column, '" ~ kind
                    ~ "' as looks_like, count(*) as mart_rows from " ~ model ~ " where " ~ column.name ~ " ~ '" ~ pattern
                    ~ "' having count(*) > 0"
                ) %}
            {%- endfor %}
        {%- endfor %}
    {%- endfor %}
{%- else %}
    {%- do found.append("select 'none' as mart") %}
{%- endif %}
{{ found | join('\nunion all\n') }}
