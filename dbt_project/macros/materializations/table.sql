{#- Instead of dbt's own, for the same reason as the view beside it: the old table goes in the transaction in which the
    new one takes its name, so a build that is killed leaves none under another name. -#}
{%- materialization table, adapter='postgres' -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set made = this.incorporate(type='table') -%}
    {%- set built = made if existing is none else make_intermediate_relation(made) -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- call statement('main') -%}
        {{ get_create_table_as_sql(False, built, sql) }}
    {%- endcall -%}
    {%- do create_indexes(built) -%}
    {%- if existing is not none -%}
        {%- if not existing.is_table -%}
            {%- do adapter.drop_relation(existing) -%}
        {%- endif -%}
        {%- call statement('swap') -%}
            drop table if exists {{ made }} cascade;
            alter table {{ built }} rename to {{ adapter.quote(made.identifier) }};
        {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do apply_grants(made, config.get('grants'), should_revoke=should_revoke(existing, full_refresh_mode=True)) -%}
    {%- do persist_docs(made, model) -%}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [made]}) }}
{%- endmaterialization -%}
