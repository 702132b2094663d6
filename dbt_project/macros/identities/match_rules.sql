{#- The rules by which something is held to be a person's, in the order in which they are tried; a later one is weaker.

    user_id         the application's own user id, also where CleverTap or a login names it
    identity        an identity that only CleverTap knows, on its own
    merged_into     the application says that this user became another one
    email           an identity only CleverTap knows, with the e-mail address of one signed-up person
    phone           the same by telephone
    shared_contact  identities only CleverTap knows that share an e-mail address or a telephone
    device          done without an identity, on a device whose owner at that time is known
    anonymous       done without an identity, on a device that never had one -#}
{% macro match_rules() -%}
    {{ return([
        'user_id', 'identity', 'merged_into', 'email', 'phone', 'shared_contact', 'device', 'anonymous'
    ]) }}
{%- endmacro %}
