{#- The key of a person (dim_user) by what stands for them: a user id of the application, an identity of CleverTap
    (the same text where both name one user), or, of somebody never identified, the device. -#}
{% macro user_key(person) -%}
    {{ entity_key(["'user'"], person) }}
{%- endmacro %}
