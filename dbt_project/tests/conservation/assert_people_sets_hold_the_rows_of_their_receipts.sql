-- Every set that counts holds exactly the rows its receipt counted: the newest of CleverTap's; of the database and the
-- queue, which are appended, all.
{{ blocks_nothing() }}
{%- for source_name in ['clevertap', 'rds', 'sqs'] %}
{{ sets_without_their_rows(source_name) }}
    {%- if source_name == 'clevertap' %}
    and sets.is_current
    {%- endif %}
{{ 'union all' if not loop.last }}
{%- endfor %}
