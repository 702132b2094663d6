{#- At the end of a run: the partitions of a fact are verified once all tests with the tag `unverified_only` that look
    at it have run and passed. -#}
{% macro note_verified_partitions(results) -%}
    {%- set verified = [] -%}
    {%- if execute and flags.WHICH in ('build', 'test') -%}
        {%- set passed = results | selectattr('status', 'equalto', 'pass') | map(attribute='node.unique_id') | list -%}
        {%- for fact in graph.nodes.values() if fact.config.incremental_strategy == 'rebuilt_partitions' -%}
            {%- set open_tests = [] -%}
            {%- for test in graph.nodes.values()
                if 'unverified_only' in test.tags
                and fact.unique_id in test.depends_on.nodes
                and test.unique_id not in passed
            -%}
                {%- do open_tests.append(test.name) -%}
            {%- endfor -%}
            {%- if not open_tests -%}
                {%- do verified.append(fact.name) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if verified %}
    update {{ built_partitions() }}
    set is_verified = true
    where fact_name in ('{{ verified | join("', '") }}') and not is_verified
    {%- endif -%}
{%- endmacro %}
