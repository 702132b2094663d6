{#- Instead of dbt's own, for the same reasons as the view beside it: the old table goes in the transaction in which the
    new one takes its name, so a build that is killed leaves none under another name. What one of dbt's own has left is
    dropped: old rows that nobody would look for. -#}
{%- materialization table, adapter='postgres' -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set made = this.incorporate(type='table') -%}
    {%- set aside = make_intermediate_relation(made) -%}
    {%- set built = made if existing is none else aside -%}
    {%- for left in [aside, make_backup_relation(made, 'table')] -%}
        {%- do drop_relation_if_exists(load_cached_relation(left)) -%}
    {%- endfor -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- call statement('main') -%}
        {{ get_create_table_as_sql(False, built, sql) }}
    {%- endcall -%}
    {%- do create_indexes(built) -%}
    {%- if existing is not none -%}
        {%- call statement('swap') -%}
            do $adstar$ begin
                for attempt in 1..10 loop
                    begin
                        drop {{ existing.type }} if exists {{ existing }} cascade;
                        alter table {{ built }} rename to {{ adapter.quote(made.identifier) }};
                        exit;
                    exception when deadlock_detected then
                        if attempt = 10 then raise; end if;
                    end;
                end loop;
            end $adstar$
        {%- endcall -%}
        {%- do adapter.cache_dropped(existing) -%}
    {%- endif -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do apply_grants(made, config.get('grants'), should_revoke=should_revoke(existing, full_refresh_mode=True)) -%}
    {%- do persist_docs(made, model) -%}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [made]}) }}
{%- endmaterialization -%}
