"""What Redshift has: statements, types, functions, reserved words, settings, each with its page.

Lists of what is there, so that what nobody thought of is refused. Pages are those of `GUIDE`.
"""

from __future__ import annotations

from simulators.redshift.tokens import words

GUIDE = "https://docs.aws.amazon.com/redshift/latest/dg/"

# c_SQL_commands.html
STATEMENTS = words(
    "abort alter analyze begin call cancel close comment commit copy create deallocate declare delete"
    " drop end execute explain fetch grant insert lock merge prepare refresh reset revoke rollback"
    " select set show start truncate unload update use vacuum with"
)
OBJECTS = words(
    "database datashare external function group identity library masking materialized model procedure"
    " rls role schema table user view"
)
# What the stand-in can't show of these.
STATEMENTS_NOT_SHOWN = {"call", "cancel", "refresh", "use"}
OBJECTS_NOT_SHOWN = words(
    "datashare external function identity library masking materialized model procedure rls"
)

# c_Supported_data_types.html
TYPES = words(
    "smallint int2 integer int int4 bigint int8 decimal numeric real float4 float8 float double"
    " boolean bool char character nchar national bpchar varchar nvarchar text date timestamp"
    " timestamptz time timetz interval super varbyte varbinary binary geometry geography hllsketch"
)
TYPES_NOT_SHOWN = {"geometry", "geography", "hllsketch"}
# Columns of the catalogue have these, on the leader node (c_join_PG.html).
CATALOGUE_TYPES = words("name oid regclass regtype regproc regprocedure xid aclitem refcursor unknown")

FUNCTIONS = {
    "c_Aggregate_Functions.html": words(
        "any_value avg count listagg max median min percentile_cont percentile_disc stddev stddev_pop"
        " stddev_samp sum var_pop var_samp variance"
    ),
    "c_bitwise_aggregate_functions.html": words("bit_and bit_or bool_and bool_or"),
    "c_Window_functions.html": words(
        "cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank"
        " ratio_to_report row_number"
    ),
    "r_GROUP_BY_aggregation-extensions.html": words("grouping grouping_id"),
    "c_conditional_expressions.html": words("coalesce decode greatest least nullif nvl nvl2"),
    "r_Data_type_formatting.html": words(
        "cast convert text_to_int_alt text_to_numeric_alt to_char to_date to_number try_cast"
    ),
    "Date_functions_header.html": words(
        "add_months convert_timezone date_cmp date_cmp_timestamp date_cmp_timestamptz date_part"
        " date_part_year date_trunc dateadd datediff extract getdate interval_cmp last_day"
        " months_between next_day timeofday timestamp_cmp timestamp_cmp_date timestamp_cmp_timestamptz"
        " timestamptz_cmp timestamptz_cmp_date timestamptz_cmp_timestamp timezone to_timestamp trunc"
    ),
    "Math_functions.html": words(
        "abs acos asin atan atan2 cbrt ceil ceiling cos cot degrees dexp dlog1 dlog10 exp floor ln"
        " log mod pi pow power radians random round sign sin sqrt tan to_hex trunc"
    ),
    "String_functions_header.html": words(
        "ascii bpcharcmp btrim bttext_pattern_cmp char_length character_length charindex chr collate"
        " concat crc32 difference initcap left len length lower lpad ltrim octet_length octetindex"
        " position quote_ident quote_literal regexp_count regexp_instr regexp_replace regexp_substr"
        " repeat replace replicate reverse right rpad rtrim soundex split_part strpos strtol substr"
        " substring textlen translate trim upper"
    ),
    "hash-functions.html": words(
        "checksum farmfingerprint64 fnv_hash func_sha1 md5 murmur3_32_hash sha sha1 sha2"
    ),
    "json-functions.html": words(
        "can_json_parse is_valid_json is_valid_json_array json_array_length"
        " json_extract_array_element_text json_extract_path_text json_parse json_serialize"
        " json_serialize_to_varbyte"
    ),
    "c_Array_Functions.html": words(
        "array array_concat array_contains array_distinct array_except array_flatten"
        " array_intersection array_position array_positions array_sort array_union arrays_overlap"
        " get_array_length split_to_array subarray"
    ),
    "Object_Functions.html": words(
        "get_number_attributes lower_attribute_names object object_transform upper_attribute_names"
    ),
    "c_Type_Info_Functions.html": words(
        "decimal_precision decimal_scale is_array is_bigint is_boolean is_char is_decimal is_float"
        " is_integer is_object is_scalar is_smallint is_varchar json_size json_typeof"
    ),
    "varbyte-functions.html": words("from_hex from_varbyte getbit to_varbyte"),
    "hyperloglog-functions.html": words(
        "hll hll_cardinality hll_combine hll_combine_sketches hll_create_sketch"
    ),
    "r_System_administration_functions.html": words(
        "current_setting pg_cancel_backend pg_terminate_backend reboot_cluster set_config"
    ),
    "r_System_information_functions.html": words(
        "current_database current_namespace current_user_id db_collation has_assumerole_privilege"
        " pg_backend_pid pg_get_cols pg_get_late_binding_view_cols pg_last_copy_count pg_last_copy_id"
        " pg_last_query_id pg_last_unload_count pg_last_unload_id role_is_member_of user_is_member_of"
        " version"
    ),
}
# c_SQL_functions_leader_node_only.html, Date_functions_header.html
LEADER_ONLY = words(
    "current_schema current_schemas has_database_privilege has_schema_privilege has_table_privilege"
    " age current_time current_timestamp localtime localtimestamp isfinite now get_bit get_byte"
    " set_bit set_byte to_ascii"
)
# Called without brackets.
BARE = {"current_schema", "current_time", "current_timestamp", "localtime", "localtimestamp"}
# r_LISTAGG.html, r_MEDIAN.html, r_PERCENTILE_CONT.html, r_PERCENTILE_DISC.html: on compute nodes only.
COMPUTE_ONLY = {"listagg", "median", "percentile_cont", "percentile_disc"}
# "Some unsupported functions will not return an error when run on the leader node"
# (c_unsupported-postgresql-functions.html): of Postgres 8.0, which that is made of.
OF_THE_LEADER = {"generate_series"}
ALL_FUNCTIONS = frozenset[str]().union(*FUNCTIONS.values())
# The stand-in has none of their like.
FUNCTIONS_NOT_SHOWN = words(
    "array_distinct array_except array_intersection array_positions array_sort array_union"
    " arrays_overlap bttext_pattern_cmp checksum collate crc32 current_namespace current_user_id"
    " decimal_precision decimal_scale difference farmfingerprint64 fnv_hash from_varbyte func_sha1"
    " get_number_attributes getbit grouping_id has_assumerole_privilege hll hll_cardinality"
    " hll_combine hll_combine_sketches hll_create_sketch is_bigint is_boolean is_char is_decimal"
    " is_float is_integer is_smallint json_serialize_to_varbyte lower_attribute_names murmur3_32_hash"
    " object_transform pg_get_cols pg_last_copy_id pg_last_query_id pg_last_unload_count"
    " pg_last_unload_id ratio_to_report reboot_cluster role_is_member_of sha sha1 soundex"
    " text_to_int_alt text_to_numeric_alt to_varbyte upper_attribute_names user_is_member_of"
)

# r_pg_keywords.html: no names unless in quotes.
RESERVED = words(
    "aes128 aes256 all allowoverwrite analyse analyze and any array as asc authorization az64 backup"
    " between binary blanksasnull both bytedict bzip2 case cast check collate column constraint create"
    " credentials cross current_date current_time current_timestamp current_user current_user_id"
    " default deferrable deflate defrag delta delta32k desc disable distinct do else emptyasnull"
    " enable encode encrypt encryption end except explicit false for foreign freeze from full"
    " globaldict256 globaldict64k grant group gzip having identity ignore ilike in initially inner"
    " intersect interval into is isnull join language leading left like limit localtime localtimestamp"
    " lun luns lzo lzop minus mostly13 mostly32 mostly8 natural new not notnull null nulls off offline"
    " offset oid old on only open or order outer overlaps parallel partition percent permissions"
    " placing primary raw readratio recover references rejectlog resort respect restore right select"
    " session_user similar snapshot some sysdate system table tag tdes text255 text32k then timestamp"
    " to top trailing true truncatecolumns union unique user using verbose wallet when where with"
    " without"
)
# c_unsupported-postgresql-features.html
SYSTEM_COLUMNS = {"oid", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}

# cm_chap_ConfigurationRef.html: those that Postgres has not; the stand-in keeps them under a name of its own.
SETTINGS = words(
    "analyze_threshold_percent cast_super_null_on_error datashare_break_glass_session_var"
    " default_geometry_encoding describe_field_name_in_uppercase downcase_delimited_identifier"
    " enable_case_sensitive_identifier enable_case_sensitive_super_attribute enable_numeric_rounding"
    " enable_result_cache_for_session enable_vacuum_boost error_on_nondeterministic_update"
    " json_serialization_enable json_serialization_parse_nested_strings"
    " max_concurrency_scaling_clusters mv_enable_aqmv_for_session navigate_super_null_on_error"
    " parse_super_null_on_error pg_federation_repeatable_read query_group"
    " spectrum_enable_pseudo_columns spectrum_query_maxerror stored_proc_log_min_messages use_fips_ssl"
    " wlm_query_slot_count"
)
# They change how SQL is read, which the stand-in does one way only.
SETTINGS_NOT_SHOWN = {"downcase_delimited_identifier", "enable_case_sensitive_identifier"}


class NotShown(Exception):
    """Redshift takes this, the stand-in can't show it."""
