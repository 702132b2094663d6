{#- A landed JSON list as rows, one for each of its elements in order, with fields of the element and of an object beside
    the list, all as text: NULL where they are absent, lists and objects as JSON. Rows without elements are gone.
    `columns` of the relation are kept; `fields` maps names to paths within an element (a list of names), and
    `beside` within the object. The element's place, from 0, is `element_no`. -#}
{% macro exploded(relation, columns, list, fields, object=none, beside={}) -%}
    {{ return(adapter.dispatch('exploded', 'adstar')(relation, columns, list, fields, object, beside)) }}
{%- endmacro %}

{#- Each object is read once: Postgres would move a plain expression into every field that uses it. -#}
{% macro postgres__exploded(relation, columns, list, fields, object, beside) %}
    select
        {%- for column in columns %}
        landed.{{ column }},
        {%- endfor %}
        {%- for name, path in beside.items() %}
        objects.document #>> '{% raw %}{{% endraw %}{{ path | join(',') }}}' as {{ name }},
        {%- endfor %}
        {%- for name, path in fields.items() %}
        elements.element #>> '{% raw %}{{% endraw %}{{ path | join(',') }}}' as {{ name }},
        {%- endfor %}
        cast(elements.position - 1 as bigint) as element_no
    from {{ relation }} as landed
    {%- if beside %}
    cross join lateral unnest(array[
        {{ json_document('landed.' ~ object) }}
    ]) as objects (document)
    {%- endif %}
    cross join lateral jsonb_array_elements({{ json_list('landed.' ~ list) }})
        with ordinality as elements (element, position)
{%- endmacro %}

{% macro redshift__exploded(relation, columns, list, fields, object, beside) %}
    select
        {%- for column in columns %}
        landed.{{ column }},
        {%- endfor %}
        {%- for name, path in beside.items() %}
        {{ member_text('landed.landed_object.' ~ path | join('.')) }} as {{ name }},
        {%- endfor %}
        {%- for name, path in fields.items() %}
        {{ member_text('element.' ~ path | join('.')) }} as {{ name }},
        {%- endfor %}
        cast(place_in_list as bigint) as element_no
    from
        (
            select
                *,
                {%- if beside %}
                case when can_json_parse({{ object }}) then json_parse({{ object }}) end as landed_object,
                {%- endif %}
                case when can_json_parse({{ list }}) then json_parse({{ list }}) end as landed_list
            from {{ relation }}
        ) as landed,
        landed.landed_list as element at place_in_list
{%- endmacro %}
