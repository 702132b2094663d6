{%- set tombstones = source('ops', 'tombstones') %}
{%- if landed_columns(tombstones, ['pseudonym']) %}
select
    cast(pseudonym as {{ type_text() }}) as pseudonym,
    min(erased_at) as erased_at
from {{ tombstones }}
group by cast(pseudonym as {{ type_text() }})
{%- else %}
select
    cast(null as {{ type_text() }}) as pseudonym,
    cast(null as timestamptz) as erased_at
where false
{%- endif %}
