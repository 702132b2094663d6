{#- Rows of what each mart declares for Redshift: its distribution as svv_table_info writes it, the first column that it
    is sorted by, and by how many. -#}
{% macro declared_designs() -%}
    {%- set rows = [] -%}
    {%- if execute -%}
        {%- for model in graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') | sort(attribute='name')
            if model.fqn[1] == 'marts'
        -%}
            {%- set dist = model.config.get('dist') or 'auto' -%}
            {%- set style = dist | upper if dist in ('all', 'even', 'auto') else 'KEY(' ~ dist ~ ')' -%}
            {%- set sort = model.config.get('sort') or [] -%}
            {%- set sort = [sort] if sort is string else sort -%}
            {%- do rows.append(
                "select '" ~ model.name ~ "' as mart, '" ~ style ~ "' as distribution, '" ~ (sort | first or '') ~ "' as sort_column, "
                ~ sort | length ~ " as sort_columns"
            ) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ rows | join('\n    union all\n    ') or "select '' as mart, '' as distribution, '' as sort_column, 0 as sort_columns" }}
{%- endmacro %}
