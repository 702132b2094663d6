{#- Instead of dbt's own, which makes each view under another name, renames two and drops one: five commands and three
    contexts of macros where this has one statement. A view is replaced where it stands, so what reads it is not dropped
    with it, and rights given on it stay. Only a view whose columns changed has to be dropped first. Who asks a view that
    reads this one holds what is to be dropped and waits for what is held: that deadlock is told to one, and this gives
    way. -#}
{%- materialization view, adapter='postgres' -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set was_view = existing is not none and existing.is_view -%}
    {%- set made = this.incorporate(type='view') -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- call statement('main') -%}
        {%- if config.get('contract').enforced %}
        {{ get_assert_columns_equivalent(sql) }}
        {%- endif %}
        do $adstar$
        declare
            is_gone boolean := false;
            deadlocks integer := 0;
        begin
            loop
                begin
                    {%- if existing is not none and not was_view %}
                    drop table if exists {{ existing }} cascade;
                    {%- endif %}
                    if is_gone then
                        drop view if exists {{ made }} cascade;
                    end if;
                    create or replace view {{ made }} as (
                        {{ sql }}
                    );
                    exit;
                exception
                    when invalid_table_definition then
                        if is_gone then raise; end if;
                        is_gone := true;
                    when deadlock_detected then
                        deadlocks := deadlocks + 1;
                        if deadlocks = 10 then raise; end if;
                end;
            end loop;
        end $adstar$
    {%- endcall -%}
    {%- if existing is not none and not was_view -%}
        {%- do adapter.cache_dropped(existing) -%}
    {%- endif -%}
    {%- set is_to_revoke = should_revoke(existing, full_refresh_mode=not was_view) -%}
    {%- do apply_grants(made, config.get('grants'), should_revoke=is_to_revoke) -%}
    {%- do persist_docs(made, model) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [made]}) }}
{%- endmaterialization -%}
