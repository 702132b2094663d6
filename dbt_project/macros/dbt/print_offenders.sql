{#- After a build that is not green: the first rows each failed or warning test found, so that the log itself names
    the account and the day. All of them stand in the table dbt names. -#}
{% macro print_offenders(results) -%}
    {%- if execute and flags.WHICH in ('build', 'test') -%}
        {%- for result in results
            if result.node.resource_type == 'test' and result.status in ('fail', 'warn') and result.node.relation_name
        -%}
            {%- set rows = run_query('select * from ' ~ result.node.relation_name ~ ' limit 5') -%}
            {%- do log(result.node.name ~ ': ' ~ result.failures ~ ' rows, such as', info=true) -%}
            {%- for row in rows.rows -%}
                {%- set written = [] -%}
                {%- for name in rows.column_names -%}
                    {%- do written.append(name ~ '=' ~ row[name]) -%}
                {%- endfor -%}
                {%- do log('    ' ~ written | join(', '), info=true) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
