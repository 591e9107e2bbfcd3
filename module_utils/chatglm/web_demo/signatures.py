"""What callables of the pinned packages take, and of the gradio for which upstream wrote its page.

Written by roles/virtualenv/files/signatures from the packages themselves, not by hand. One callable a line: its name
(``.name`` for a method, whatever its class), then its parameters in their order; ``*`` parts those that are given by
name only, ``*args`` and ``**`` take any. A name without a space behind it is there, and no function.
"""

GRADIO_VERSION = "6.17.3"
GRADIO = """
.accept_blobs data
.activate *
.add child * components
.add_child child
.api_info *
.api_info_as_input *
.api_info_as_output *
.app scope receive send
.apply fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.as_example value
.async_convert_mp4_to_ts mp4_file ts_file
.async_move_resource_to_block_cache url_or_file_path
.attach_clear_events _clear_btn input_component_column
.attach_flagging_events flag_btns _clear_btn _submit_event
.attach_load_event callable every inputs
.attach_submit_events _submit_btn _stop_btn
.block_thread *
.blur fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.breaks_grouping *
.call_function block_fn processed_input iterator requests event_id event_data in_event_listener state
.change fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.check_streamable *
.clear fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.click fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.close verbose
.collapse fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.combine_stream stream desired_output_format only_file
.convert_and_format_image file
.convert_to_type img type
.copy fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.covert_to_adts data
.create_limiter *
.data_model * path url size orig_name mime_type is_stream meta root headers data metadata background layers
  composite id image annotations label confidences text files type plot
.default_formatter speaker text
.default_unformatter line default_speaker
.delete fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.delete_callback x
.deserialize_data fn_index outputs
.double_click fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.download fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.edit fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.end fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.example_clicked example
.example_inputs *
.example_payload *
.example_populated example
.example_select fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue
  batch max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id
  api_visibility time_limit stream_every key validator
.example_value *
.expand fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.fill_expected_parents *
.flag payload flag_dir
.focus fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.format value
.from_config config fns proxy_url
.from_pipeline pipeline **
.get_api_info all_endpoints
.get_block_class *
.get_block_name *
.get_cell_data value
.get_component id
.get_component_class_id *
.get_config *
.get_config_file *
.get_datetime_from_str date
.get_event_targets original_mapping _targets trigger
.get_expected_parent *
.get_headers value
.get_instances *
.get_load_fn_and_initial_value value inputs
.get_mark *
.get_metadata value
.get_random_value *
.get_share_link value copied_value
.get_state_ids_to_track block_fn state
.get_video_duration_ffprobe filename
.handle_streaming_diffs block_fn data session_hash run final simple_format
.handle_streaming_outputs block_fn data session_hash run root_path final
.has_event event
.input fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.integrate comet_ml wandb mlflow
.is_callable fn_index
.is_empty value
.key_up fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.launch inline inbrowser share debug max_threads auth auth_message prevent_thread_lock show_error server_name
  server_port * height width favicon_path ssl_keyfile ssl_certfile ssl_keyfile_password ssl_verify quiet
  footer_links allowed_paths blocked_paths root_path app_kwargs state_session_capacity share_server_address
  share_server_protocol share_server_tls_certificate auth_dependency max_file_size enable_monitoring strict_cors
  node_server_name node_port ssr_mode pwa mcp_server num_workers _app _frontend i18n theme css css_paths js head
  head_paths
.like fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.load fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.ls subdirectory
.move_resource_to_block_cache url_or_file_path
.option_clicked history option
.option_select fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue
  batch max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id
  api_visibility time_limit stream_every key validator
.parent *args fn_index api_name
.pause fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.pause_recording fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue
  batch max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id
  api_visibility time_limit stream_every key validator
.play fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.postprocess value
.postprocess_data block_fn predictions state
.preprocess payload
.preprocess_data block_fn inputs state explicit_call
.preview_close fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue
  batch max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id
  api_visibility time_limit stream_every key validator
.preview_open fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.process_api block_fn inputs state request iterator session_hash event_id event_data in_event_listener simple_format
  explicit_call root_path
.process_example value
.push_to_hub name head description author tags repo_url token
.queue status_update_rate api_open max_size * default_concurrency_limit
.raise_if_out_of_bounds num minimum maximum
.read_from_flag payload
.recover_kwargs props additional_keys
.release fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.render *
.render_article *
.render_examples *
.render_flag_btns *
.render_input_column *
.render_output_column _submit_btn_in
.render_title_description *
.retry fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.round_to_precision num precision
.route name path show_in_navbar
.run_extra_startup_events *
.run_startup_events *
.select fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.serialize_components conversation
.serialize_data fn_index inputs
.serve_static_file url_or_file_path
.set_auto_datatype value
.start_recording fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue
  batch max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id
  api_visibility time_limit stream_every key validator
.stop fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.stop_recording fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue
  batch max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id
  api_visibility time_limit stream_every key validator
.stream fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.stream_output value output_id first_chunk
.submit fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.tick fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.transpile_to_js quiet
.undo fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.unformat payload
.unique_key *
.unload fn
.unrender *
.update visible
.upload fn inputs outputs api_name api_description scroll_to_output show_progress show_progress_on queue batch
  max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit concurrency_id api_visibility
  time_limit stream_every key validator
.validate_inputs block_fn inputs
.validate_navbar_settings *
.validate_outputs block_fn predictions
.validate_queue_settings *
Accordion label * open visible elem_id elem_classes render key preserved_by_key
AnnotatedImage value * format show_legend height width color_map label every inputs show_label container scale
  min_width visible elem_id elem_classes render key preserved_by_key buttons
Annotatedimage value * format show_legend height width color_map label every inputs show_label container scale
  min_width visible elem_id elem_classes render key preserved_by_key buttons
Audio value * sources type label every inputs show_label container scale min_width interactive visible streaming
  elem_id elem_classes render key preserved_by_key format autoplay editable buttons waveform_options loop recording
  subtitles playback_position
BarPlot value x y * color title x_title y_title color_title x_bin y_aggregate color_map colors_in_legend x_lim y_lim
  x_label_angle y_label_angle x_axis_format y_axis_format x_axis_labels_visible caption sort tooltip height label
  show_label container scale min_width every inputs visible elem_id elem_classes render buttons key preserved_by_key
Blocks analytics_enabled mode title fill_height fill_width delete_cache * css css_paths elem_classes elem_id head
  head_paths js theme visible
BrowserState default_value * storage_key secret render
Brush default_size colors default_color color_mode
Button value * every inputs variant size icon link link_target visible interactive elem_id elem_classes render key
  preserved_by_key scale min_width
CSVLogger simplify_file_data verbose dataset_file_name
Cache * max_size max_memory per_session
ChatInterface fn * multimodal chatbot textbox additional_inputs additional_inputs_accordion additional_outputs
  editable examples example_labels example_icons run_examples_on_click cache_examples cache_mode title description
  flagging_mode flagging_options flagging_dir analytics_enabled autofocus autoscroll submit_btn stop_btn
  concurrency_limit delete_cache show_progress fill_height fill_width api_name api_description api_visibility
  save_history validator
ChatMessage content role metadata options
Chatbot value * label every inputs show_label container scale min_width visible elem_id elem_classes autoscroll
  render key preserved_by_key height resizable max_height min_height editable latex_delimiters rtl buttons watermark
  avatar_images sanitize_html render_markdown feedback_options feedback_value line_breaks layout placeholder
  examples allow_file_downloads group_consecutive_messages allow_tags reasoning_tags like_user_message
Checkbox value * label info every inputs show_label container scale min_width interactive visible elem_id
  elem_classes render key preserved_by_key buttons
CheckboxGroup choices * value type label info every inputs show_label show_select_all container scale min_width
  interactive visible elem_id elem_classes render key preserved_by_key buttons
Checkboxgroup choices * value type label info every inputs show_label show_select_all container scale min_width
  interactive visible elem_id elem_classes render key preserved_by_key buttons
ClearButton components * value every inputs variant size icon link link_target visible interactive elem_id
  elem_classes render key preserved_by_key scale min_width api_name api_visibility
Code value language * every inputs lines max_lines label interactive show_label container scale min_width visible
  elem_id elem_classes render key preserved_by_key wrap_lines show_line_numbers autocomplete buttons
ColorPicker value * label info every inputs show_label container scale min_width interactive visible elem_id
  elem_classes render key preserved_by_key
Column * scale min_width variant visible elem_id elem_classes render show_progress key preserved_by_key
Component value * label info show_label container scale min_width interactive visible elem_id elem_classes render
  key preserved_by_key load_fn every inputs
CopyData target data
DataFrame value * headers row_count row_limits col_count column_count column_limits datatype type latex_delimiters
  label show_label every inputs max_height scale min_width interactive visible elem_id elem_classes render key
  preserved_by_key wrap line_breaks column_widths buttons show_row_numbers max_chars show_search pinned_columns
  static_columns
Dataframe value * headers row_count row_limits col_count column_count column_limits datatype type latex_delimiters
  label show_label every inputs max_height scale min_width interactive visible elem_id elem_classes render key
  preserved_by_key wrap line_breaks column_widths buttons show_row_numbers max_chars show_search pinned_columns
  static_columns
Dataset * label show_label components component_props samples headers type layout samples_per_page visible elem_id
  elem_classes render key preserved_by_key container scale min_width proxy_url sample_labels
DateTime value * include_time type timezone label show_label info every scale min_width visible interactive elem_id
  elem_classes render key preserved_by_key buttons
DeepLinkButton value copied_value * inputs variant size icon link link_target visible interactive elem_id
  elem_classes render key preserved_by_key scale min_width every
DeletedFileData target data
Dialogue value * type speakers formatter unformatter tags separator color_map label info placeholder show_label
  container scale min_width interactive visible elem_id autofocus autoscroll elem_classes render key max_lines
  buttons submit_btn ui_mode
DownloadButton label value * every inputs variant visible size icon scale min_width interactive elem_id elem_classes
  render key preserved_by_key
DownloadData target data
Draggable * orientation visible elem_id elem_classes render key preserved_by_key
Dropdown choices * value type multiselect allow_custom_value max_choices filterable label info every inputs
  show_label container scale min_width interactive visible elem_id elem_classes render key preserved_by_key buttons
DuplicateButton value * every inputs variant size icon link link_target visible interactive elem_id elem_classes
  render key preserved_by_key scale min_width _activate
EditData target data
Eraser default_size
Error message duration visible title print_exception
EventData target _data
Examples examples inputs outputs fn cache_examples cache_mode examples_per_page _api_mode label elem_id run_on_click
  preprocess postprocess api_visibility api_name api_description batch * example_labels visible preload
File value * file_count file_types type label every inputs show_label container scale min_width height interactive
  visible elem_id elem_classes render key preserved_by_key allow_reordering buttons
FileData **
FileExplorer glob * value file_count root_dir ignore_glob label every inputs show_label container scale min_width
  height max_height min_height interactive visible elem_id elem_classes render key preserved_by_key buttons
FileSize *args **
Files value * file_count file_types type label every inputs show_label container scale min_width height interactive
  visible elem_id elem_classes render key preserved_by_key allow_reordering buttons
FlaggingCallback *args **
Gallery value * format file_types label every inputs show_label container scale min_width visible elem_id
  elem_classes render key preserved_by_key columns rows height allow_preview preview selected_index object_fit
  buttons interactive type fit_columns sources
Group * visible elem_id elem_classes render key preserved_by_key
HTML value * label html_template css_template js_on_load apply_default_css every inputs show_label scale min_width
  visible elem_id elem_classes render key preserved_by_key min_height max_height container padding autoscroll
  buttons head server_functions **
Header *args **
Highlight value * color_map show_legend show_inline_category combine_adjacent adjacent_separator show_whitespaces
  label every inputs show_label container scale min_width visible elem_id elem_classes render key preserved_by_key
  interactive rtl buttons
HighlightedText value * color_map show_legend show_inline_category combine_adjacent adjacent_separator
  show_whitespaces label every inputs show_label container scale min_width visible elem_id elem_classes render key
  preserved_by_key interactive rtl buttons
Highlightedtext value * color_map show_legend show_inline_category combine_adjacent adjacent_separator
  show_whitespaces label every inputs show_label container scale min_width visible elem_id elem_classes render key
  preserved_by_key interactive rtl buttons
I18n **
Image value * format height width image_mode sources type label every inputs show_label buttons container scale
  min_width interactive visible streaming elem_id elem_classes render key preserved_by_key webcam_options
  placeholder watermark
ImageEditor value * height width image_mode sources type label every inputs show_label buttons container scale
  min_width interactive visible elem_id elem_classes render key preserved_by_key placeholder _selectable transforms
  eraser brush format layers canvas_size fixed_canvas webcam_options
ImageMask value * height width image_mode sources type label every inputs show_label buttons container scale
  min_width interactive visible elem_id elem_classes render key preserved_by_key placeholder _selectable transforms
  eraser brush format layers canvas_size fixed_canvas webcam_options
ImageSlider value * format height width image_mode type label every inputs show_label buttons container scale
  min_width interactive visible elem_id elem_classes render key preserved_by_key slider_position max_height
Info message duration visible title
InputHTMLAttributes autocapitalize autocorrect spellcheck autocomplete tabindex enterkeyhint lang
Interface fn inputs outputs examples * cache_examples cache_mode examples_per_page example_labels preload_example
  live title description article flagging_mode flagging_options flagging_dir flagging_callback analytics_enabled
  batch max_batch_size api_visibility api_name api_description _api_mode allow_duplication concurrency_limit
  additional_inputs additional_inputs_accordion submit_btn stop_btn clear_btn delete_cache show_progress fill_width
  time_limit stream_every deep_link validator css css_paths elem_classes elem_id head head_paths js theme visible
JSON value * label every inputs show_label container scale min_width visible elem_id elem_classes render key
  preserved_by_key open show_indices height max_height min_height buttons
Json value * label every inputs show_label container scale min_width visible elem_id elem_classes render key
  preserved_by_key open show_indices height max_height min_height buttons
KeyUpData target data
Label value * num_top_classes label every inputs show_label container scale min_width visible elem_id elem_classes
  render key preserved_by_key color show_heading buttons
LayerOptions allow_additional_layers layers disabled
LikeData target data
LinePlot value x y * color title x_title y_title color_title x_bin y_aggregate color_map colors_in_legend x_lim
  y_lim x_label_angle y_label_angle x_axis_format y_axis_format x_axis_labels_visible caption sort tooltip height
  label show_label container scale min_width every inputs visible elem_id elem_classes render buttons key
  preserved_by_key
List value * headers row_count row_limits col_count column_count column_limits datatype type latex_delimiters label
  show_label every inputs max_height scale min_width interactive visible elem_id elem_classes render key
  preserved_by_key wrap line_breaks column_widths show_row_numbers show_search pinned_columns max_chars buttons
  static_columns
LoginButton value logout_value * every inputs variant size icon link link_target visible interactive elem_id
  elem_classes render key preserved_by_key scale min_width
Markdown value * label every inputs show_label scale min_width rtl latex_delimiters visible elem_id elem_classes
  render key preserved_by_key sanitize_html line_breaks header_links height max_height min_height buttons container
  padding
Matrix value * headers row_count row_limits col_count column_count column_limits datatype type latex_delimiters
  label show_label every inputs max_height scale min_width interactive visible elem_id elem_classes render key
  preserved_by_key wrap line_breaks column_widths show_row_numbers show_search pinned_columns max_chars buttons
  static_columns
MessageDict *args **
Mic value * sources type label every inputs show_label container scale min_width interactive visible streaming
  elem_id elem_classes render key preserved_by_key format autoplay buttons editable waveform_options loop recording
  subtitles playback_position
Microphone value * sources type label every inputs show_label container scale min_width interactive visible
  streaming elem_id elem_classes render key preserved_by_key format autoplay buttons editable waveform_options loop
  recording subtitles playback_position
Model3D value * display_mode clear_color camera_position zoom_speed pan_speed height label show_label every inputs
  container scale min_width interactive visible elem_id elem_classes render key preserved_by_key buttons
MultimodalTextbox value * sources file_types file_count lines max_lines placeholder label info every inputs
  show_label container scale min_width interactive visible elem_id autofocus autoscroll elem_classes render key
  preserved_by_key text_align rtl submit_btn stop_btn max_plain_text_length html_attributes
NO_RELOAD
Navbar value * visible main_page_name elem_id elem_classes render key
Number value * label placeholder info every inputs show_label container scale min_width interactive visible elem_id
  elem_classes render key preserved_by_key buttons precision minimum maximum step
Numpy value * headers row_count row_limits col_count column_count column_limits datatype type latex_delimiters label
  show_label every inputs max_height scale min_width interactive visible elem_id elem_classes render key
  preserved_by_key wrap line_breaks column_widths show_row_numbers show_search static_columns pinned_columns
  max_chars buttons
OAuthProfile data
OAuthToken token scope expires_at
Paint value * height width image_mode sources type label every inputs show_label buttons container scale min_width
  interactive visible elem_id elem_classes render key preserved_by_key webcam_options _selectable transforms eraser
  brush format layers canvas_size fixed_canvas placeholder
ParamViewer value language linkify every inputs render key preserved_by_key header anchor_links max_height
PlayableVideo value * format sources height width label every inputs show_label container scale min_width
  interactive visible elem_id elem_classes render key preserved_by_key webcam_options include_audio autoplay buttons
  loop streaming watermark subtitles playback_position
Plot value * format label every inputs show_label container scale min_width visible elem_id elem_classes render key
  preserved_by_key buttons
Progress track_tqdm
Radio choices * value type label info every inputs show_label container scale min_width interactive visible elem_id
  elem_classes render key preserved_by_key rtl buttons
Request request username session_hash **
RetryData target data
Row * variant visible elem_id elem_classes scale render height max_height min_height equal_height show_progress key
  preserved_by_key
ScatterPlot value x y * color title x_title y_title color_title x_bin y_aggregate color_map colors_in_legend x_lim
  y_lim x_label_angle y_label_angle x_axis_format y_axis_format x_axis_labels_visible caption sort tooltip height
  label show_label container scale min_width every inputs visible elem_id elem_classes render buttons key
  preserved_by_key
SelectData target data
Server * debug title summary description version openapi_url openapi_tags servers dependencies
  default_response_class redirect_slashes docs_url redoc_url middleware exception_handlers on_startup on_shutdown
  lifespan terms_of_service contact license_info root_path root_path_in_servers responses callbacks webhooks
  deprecated include_in_schema generate_unique_id_function separate_input_output_schemas **
Sidebar label * open visible elem_id elem_classes render width position key preserved_by_key
SimpleCSVLogger *
Sketchpad value * height width image_mode sources type label every inputs show_label buttons container scale
  min_width interactive visible elem_id elem_classes render key preserved_by_key placeholder webcam_options
  _selectable transforms eraser brush format canvas_size fixed_canvas layers
Slider minimum maximum value * step precision label info every inputs show_label container scale min_width
  interactive visible elem_id elem_classes render key preserved_by_key randomize buttons
State value render * time_to_live delete_callback
Step label visible interactive * id elem_id elem_classes scale render key preserved_by_key
Success message duration visible title
Tab label visible interactive * id elem_id elem_classes scale render key preserved_by_key render_children
TabItem label visible interactive * id elem_id elem_classes scale render key preserved_by_key render_children
TabbedInterface interface_list tab_names title analytics_enabled
Tabs * selected visible elem_id elem_classes render key preserved_by_key
Text value * type lines max_lines placeholder label info every inputs show_label container scale min_width
  interactive visible elem_id autofocus autoscroll elem_classes render key preserved_by_key text_align rtl buttons
  max_length submit_btn stop_btn html_attributes
TextArea value * lines max_lines placeholder label info every inputs show_label container scale min_width
  interactive visible elem_id autofocus autoscroll elem_classes render key preserved_by_key type text_align rtl
  buttons max_length submit_btn stop_btn html_attributes
Textbox value * type lines max_lines placeholder label info every inputs show_label container scale min_width
  interactive visible elem_id autofocus autoscroll elem_classes render key preserved_by_key text_align rtl buttons
  max_length submit_btn stop_btn html_attributes
Theme * primary_hue secondary_hue neutral_hue text_size spacing_size radius_size font font_mono
Timer value * active render
UndoData target data
UploadButton label value * every inputs variant visible size icon scale min_width interactive elem_id elem_classes
  render key preserved_by_key type file_count file_types
Video value * format sources height width label every inputs show_label container scale min_width interactive
  visible elem_id elem_classes render key preserved_by_key webcam_options include_audio autoplay buttons loop
  streaming watermark subtitles playback_position
Walkthrough * selected visible elem_id elem_classes render key preserved_by_key
Warning message duration visible title
WatermarkOptions watermark position
WaveformOptions waveform_color waveform_progress_color trim_region_color show_recording_waveform skip_length
  sample_rate
WebcamOptions mirror constraints
Workflow graph * bind edges
WorkflowCanvas value * label every inputs show_label visible elem_id elem_classes render key preserved_by_key
  container server_functions
analytics
api fn * api_name api_description queue batch max_batch_size concurrency_limit concurrency_id api_visibility
  time_limit stream_every
block_function
blocks
blocks_events
brotli_middleware
cache fn * key max_size max_memory per_session
caching
chat_interface
cli
close_all verbose
component cls_name render
component_meta
components
context
data_classes
deploy title app_file provider
events
exceptions
external
external_utils
flagging
get_audio filename
get_file filename
get_image filename
get_model3d filename
get_package_version *
get_video filename
gradio
helpers
i18n
image_utils
interface
ipython_ext
json
layouts
load name src token accept_token provider **
load_chat base_url model token * file_types system_message streaming **
load_ipython_extension ipython
load_openapi openapi_spec base_url * paths exclude_paths methods auth_token **
mcp
media
mount_gradio_app app blocks path server_name server_port footer_links app_kwargs * auth auth_message auth_dependency
  root_path allowed_paths blocked_paths favicon_path show_error max_file_size ssr_mode node_server_name node_port
  enable_monitoring pwa i18n mcp_server theme css css_paths js head head_paths
networking
node_server
oauth
on triggers fn inputs outputs * api_visibility api_name api_description scroll_to_output show_progress
  show_progress_on queue batch max_batch_size preprocess postprocess cancels trigger_mode js concurrency_limit
  concurrency_id time_limit stream_every key validator
pipelines
pipelines_utils
processing_utils
profiling
queueing
render inputs triggers * queue trigger_mode concurrency_limit concurrency_id show_progress
renderable
route_utils
routes
screen_recording_utils
server
server_messages
set_static_paths paths
skip *
state_holder
templates
themes
themes.Base * primary_hue secondary_hue neutral_hue text_size spacing_size radius_size font font_mono
themes.Citrus * primary_hue secondary_hue neutral_hue spacing_size radius_size text_size font font_mono
themes.Color c50 c100 c200 c300 c400 c500 c600 c700 c800 c900 c950 name
themes.Cyberpunk * primary_hue secondary_hue neutral_hue spacing_size radius_size text_size font font_mono
themes.Default * primary_hue secondary_hue neutral_hue spacing_size radius_size text_size font font_mono
themes.Ember * primary_hue secondary_hue neutral_hue spacing_size radius_size text_size font font_mono
themes.Font name
themes.Glass * primary_hue secondary_hue neutral_hue spacing_size radius_size text_size font font_mono
themes.GoogleFont name weights
themes.LocalFont name weights
themes.Mario * primary_hue secondary_hue neutral_hue spacing_size radius_size text_size font font_mono
themes.Monochrome * primary_hue secondary_hue neutral_hue spacing_size radius_size text_size font font_mono
themes.Neon * primary_hue secondary_hue neutral_hue spacing_size radius_size text_size font font_mono
themes.Ocean * primary_hue secondary_hue neutral_hue spacing_size radius_size text_size font font_mono
themes.Origin * primary_hue secondary_hue neutral_hue spacing_size radius_size text_size font font_mono
themes.Size xxs xs sm md lg xl xxl name
themes.Soft * primary_hue secondary_hue neutral_hue spacing_size radius_size text_size font font_mono
themes.ThemeClass *
tunneling
update elem_id elem_classes visible **
utils
validate is_valid message
validators
workflow
"""

STREAMLIT_VERSION = "1.56.0"
STREAMLIT = """
Page page * title icon url_path default visibility
altair_chart altair_chart * width height use_container_width theme key on_select selection_mode
area_chart data * x y x_label y_label color stack width height use_container_width
audio data format start_time * sample_rate end_time loop autoplay width
audio_input label * sample_rate key help on_change args kwargs disabled label_visibility width
auth_util
badge label * icon color width help
balloons *
bar_chart data * x y x_label y_label color horizontal sort stack width height use_container_width
bokeh_chart figure use_container_width
button label key help on_click args kwargs * type icon icon_position disabled use_container_width width shortcut
cache func persist allow_output_mutation show_spinner suppress_st_warning hash_funcs max_entries ttl
cache_data func * ttl max_entries show_spinner show_time persist hash_funcs scope
cache_resource func * ttl max_entries show_spinner show_time validate hash_funcs on_release scope
camera_input label key help on_change args kwargs * disabled label_visibility width
caption body unsafe_allow_html * help width text_alignment
chat_input placeholder * key max_chars max_upload_size accept_file file_type accept_audio audio_sample_rate disabled
  on_submit args kwargs width height
chat_message name * avatar width
checkbox label value key help on_change args kwargs * disabled label_visibility width bind
cli_util
code body language * line_numbers wrap_lines height width
color_picker label value key help on_change args kwargs * disabled label_visibility width bind
column_config
columns spec * gap vertical_alignment border width
commands
components
config
config_option
config_util
connection name type max_entries ttl **
connections
container * border key width height horizontal horizontal_alignment vertical_alignment gap autoscroll
context
cursor
data_editor data * width height use_container_width hide_index column_order column_config num_rows disabled key
  on_change args kwargs row_height placeholder
dataframe data width height * use_container_width hide_index column_order column_config key on_select selection_mode
  selection_default row_height placeholder
dataframe_util
date_input label value min_value max_value key help on_change args kwargs * format disabled label_visibility width
  bind
datetime_input label value min_value max_value * key help on_change args kwargs format step disabled
  label_visibility width bind
delta_generator
delta_generator_singletons
deprecation_util
development
dialog title * width dismissible icon on_dismiss
divider * width
download_button label data file_name mime key help on_click args kwargs * type icon icon_position disabled
  use_container_width width shortcut
echo code_location
elements
empty *
env_util
error body * icon width
error_util
errors
exception exception width
expander label expanded * key icon width on_change args kwargs
feedback options * key default disabled on_change args kwargs width
file_uploader label type accept_multiple_files key help on_change args kwargs * max_upload_size disabled
  label_visibility width
file_util
form key clear_on_submit * enter_to_submit border width height
form_submit_button label help on_click args kwargs * key type icon icon_position disabled use_container_width width
  shortcut
fragment func * run_every
get_option key
graphviz_chart figure_or_dot use_container_width * width height
header body anchor * help divider width text_alignment
help obj * width
html body * width unsafe_allow_javascript
iframe src * width height tab_index
image image caption width use_column_width clamp channels output_format * use_container_width link
info body * icon width
json body * expanded width
latex body * help width
line_chart data * x y x_label y_label color width height use_container_width
link_button label url * key on_click args kwargs help type icon icon_position disabled use_container_width width
  shortcut
logger
login provider
logo image * size link icon_image
logout *
map data * latitude longitude color size zoom width height use_container_width
markdown body unsafe_allow_html * help width text_alignment
menu_button label options * key help on_click args kwargs type icon disabled width format_func
metric label value delta delta_color * help label_visibility border width height chart_data chart_type delta_arrow
  format delta_description
multiselect label options default format_func key help on_change args kwargs * max_selections placeholder disabled
  label_visibility accept_new_options filter_mode width bind
navigation pages * position expanded
number_input label min_value max_value value step format key help on_change args kwargs * placeholder disabled
  label_visibility icon width bind
page_link page * label icon icon_position help disabled use_container_width width query_params
path_security
pdf data * height key
pills label options * selection_mode default required format_func key help on_change args kwargs disabled
  label_visibility width bind
plotly_chart figure_or_data use_container_width * width height theme key on_select selection_mode config **
popover label * type help icon disabled use_container_width width key on_change args kwargs
progress value text width
proto
pydeck_chart pydeck_obj * width use_container_width height selection_mode on_select key
pyplot fig clear_figure * width use_container_width **
query_params
radio label options index format_func key help on_change args kwargs * disabled horizontal captions label_visibility
  width bind
rerun * scope
runtime
scatter_chart data * x y x_label y_label color size width height use_container_width
secrets
segmented_control label options * selection_mode default required format_func key help on_change args kwargs
  disabled label_visibility width bind
select_slider label options value format_func key help on_change args kwargs * disabled label_visibility width bind
selectbox label options index format_func key help on_change args kwargs * placeholder disabled label_visibility
  accept_new_options filter_mode width bind
session_state
set_option key value
set_page_config page_title page_icon layout initial_sidebar_state menu_items
sidebar
slider label min_value max_value value step format key help on_change args kwargs * disabled label_visibility width
  bind
snow *
source_util
space size
spinner text * show_time _cache width
status label * expanded state width
stop *
streamlit
string_util
subheader body anchor * help divider width text_alignment
success body * icon width
switch_page page * query_params
table data * border width height hide_index hide_header
tabs tabs * width default key on_change args kwargs
text body * help width text_alignment
text_area label value height max_chars key help on_change args kwargs * placeholder disabled label_visibility width
  bind
text_input label value max_chars key type help autocomplete on_change args kwargs * placeholder disabled
  label_visibility icon width bind
time_input label value key help on_change args kwargs * disabled label_visibility step width bind
time_util
title body anchor * help width text_alignment
toast body * icon duration
toggle label value key help on_change args kwargs * disabled label_visibility width bind
type_util
url_util
user
user_info
util
vega_lite_chart data spec * width height use_container_width theme key on_select selection_mode **
version
video data format start_time * subtitles end_time loop autoplay muted width
warning body * icon width
watcher
write *args unsafe_allow_html
write_stream stream * cursor
"""

TRANSFORMERS_VERSION = "4.41.2"
TRANSFORMERS = """
from_pretrained pretrained_model_name_or_path * _adapter_model_path _commit_hash _fast_init _from_auto
  _from_pipeline adapter_kwargs adapter_name attn_implementation code_revision config device_map from_flax from_tf
  gguf_file load_in_4bit load_in_8bit low_cpu_mem_usage max_memory mirror offload_buffers offload_folder
  offload_state_dict output_loading_info proxies quantization_config resume_download return_unused_kwargs state_dict
  subfolder token torch_dtype trust_remote_code use_auth_token use_flash_attention_2 use_timm_backbone variant
"""

UVICORN_VERSION = "0.54.0"
UVICORN = """
run app * host port uds fd loop http http2 ws ws_max_size ws_max_queue ws_ping_interval ws_ping_timeout
  ws_per_message_deflate lifespan interface reload reload_dirs reload_includes reload_excludes reload_delay workers
  env_file log_config log_level access_log proxy_headers server_header date_header forwarded_allow_ips root_path
  limit_concurrency backlog limit_max_requests limit_max_requests_jitter timeout_keep_alive
  timeout_graceful_shutdown timeout_worker_healthcheck ssl_keyfile ssl_certfile ssl_keyfile_password ssl_version
  ssl_cert_reqs ssl_ca_certs ssl_ciphers ssl_context_factory headers use_colors app_dir factory
  h11_max_incomplete_event_size reset_contextvars
"""

CLASSIC_VERSION = "3.39.0"
CLASSIC = """
.activate *
.add child * components
.add_child child
.api_info *
.as_example input_data
.attach_clear_events clear_btn input_component_column interpret_component_column
.attach_flagging_events flag_btns clear_btn
.attach_interpretation_events interpretation_btn interpretation_set input_component_column
  interpret_component_column
.attach_load_event callable every
.attach_load_events *
.attach_submit_events submit_btn stop_btn
.audio_to_temp_file data sample_rate dir format
.base64_to_temp_file_if_needed base64_encoding file_name
.block_thread *
.blur fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size preprocess
  postprocess cancels every _js
.call_function fn_index processed_input iterator requests event_id event_data
.change fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size
  preprocess postprocess cancels every _js
.check_streamable *
.clear fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size
  preprocess postprocess cancels every _js
.click fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size
  preprocess postprocess cancels every _js
.close verbose
.create_limiter *
.create_plot value x y color vertical group title tooltip x_title y_title color_legend_title group_title
  color_legend_position height width y_lim interactive * stroke_dash overlay_point stroke_dash_legend_title
  stroke_dash_legend_position x_lim size shape size_legend_title shape_legend_title size_legend_position
  shape_legend_position
.deserialize x save_dir root_url hf_token
.deserialize_data fn_index outputs
.download_temp_copy_if_needed url
.edit fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size preprocess
  postprocess cancels every _js
.end fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size preprocess
  postprocess cancels every _js
.example_inputs *
.file_bytes_to_file data dir file_name
.fill_expected_parents *
.from_config config fns root_url
.from_pipeline pipeline **
.get_block_name *
.get_config *
.get_config_file *
.get_expected_parent *
.get_instances *
.get_interpretation_neighbors x
.get_interpretation_scores x neighbors scores ** * masks tokens
.get_load_fn_and_initial_value value
.get_masked_inputs tokens binary_mask_matrix
.get_random_value *
.get_specific_update generic_update
.hash_base64 base64_encoding chunk_num_blocks
.hash_bytes bytes
.hash_file file_path chunk_num_blocks
.hash_url url chunk_num_blocks
.img_array_to_temp_file arr dir
.input fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size
  preprocess postprocess cancels every _js
.input_api_info *
.integrate comet_ml wandb mlflow
.interpret raw_input
.interpret_func *args
.is_callable fn_index
.launch inline inbrowser share debug enable_queue max_threads auth auth_message prevent_thread_lock show_error
  server_name server_port show_tips height width encrypt favicon_path ssl_keyfile ssl_certfile ssl_keyfile_password
  ssl_verify quiet show_api file_directories allowed_paths blocked_paths root_path _frontend app_kwargs
.load fn inputs outputs api_name scroll_to_output show_progress queue batch max_batch_size preprocess postprocess
  every _js * name src api_key alias **
.make_temp_copy_if_needed file_path
.output_api_info *
.parent *args fn_index api_name
.pause fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size
  preprocess postprocess cancels every _js
.pil_to_temp_file img dir format
.play fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size preprocess
  postprocess cancels every _js
.postprocess y * samples
.postprocess_data fn_index predictions state
.preprocess x * y
.preprocess_data fn_index inputs state
.process_api fn_index inputs state request iterators event_id event_data
.queue concurrency_count status_update_rate client_position_to_load_data default_enabled api_open max_size
.queue_enabled_for_fn fn_index
.release fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size
  preprocess postprocess cancels every _js
.render *
.render_article *
.render_examples *
.render_flag_btns *
.render_input_column *
.render_output_column submit_btn_in
.render_title_description *
.save_uploaded_file file upload_dir
.select fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size
  preprocess postprocess cancels every _js
.serialize x load_dir allow_links
.serialize_data fn_index inputs
.serialized_info *
.set_event_trigger event_name fn inputs outputs preprocess postprocess scroll_to_output show_progress api_name js
  no_target queue batch max_batch_size cancels every collects_event_data trigger_after trigger_only_on_success
.set_interpret_parameters segments * separator replacement steps delta delta_type
.start_recording fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size
  preprocess postprocess cancels every _js
.startup_events *
.stop fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size preprocess
  postprocess cancels every _js
.stop_recording fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size
  preprocess postprocess cancels every _js
.stream fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size
  preprocess postprocess cancels every _js
.style *args ** * height width container full_width size item_container color_map show_copy_button grid columns rows
  preview object_fit equal_height
.submit fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size
  preprocess postprocess cancels every _js
.test_launch *
.tokenize x
.unrender *
.update ** * value height width label show_label show_download_button container scale min_width interactive visible
  brush_radius brush_color mask_opacity show_share_button max_rows max_cols source autoplay variant size choices
  info color_map show_legend lines max_lines placeholder type text_align rtl show_copy_button autofocus colors open
  x y color vertical group title tooltip x_title y_title color_legend_title group_title color_legend_position y_lim
  caption language samples columns rows preview object_fit allow_preview stroke_dash overlay_point
  stroke_dash_legend_title stroke_dash_legend_position x_lim minimum maximum shape size_legend_title
  shape_legend_title size_legend_position shape_legend_position step selected
.upload fn inputs outputs api_name status_tracker scroll_to_output show_progress queue batch max_batch_size
  preprocess postprocess cancels every _js
.validate_inputs fn_index inputs
.validate_outputs fn_index predictions
.validate_queue_settings *
Accordion label * open visible elem_id **
AnnotatedImage value * show_legend height width color_map label every show_label container scale min_width visible
  elem_id elem_classes **
Annotatedimage value * show_legend height width color_map label every show_label container scale min_width visible
  elem_id elem_classes **
Audio value * source type label every show_label container scale min_width interactive visible streaming elem_id
  elem_classes format autoplay show_download_button show_share_button **
BarPlot value x y * color vertical group title tooltip x_title y_title color_legend_title group_title
  color_legend_position height width y_lim caption interactive label show_label container scale min_width every
  visible elem_id elem_classes
Blocks theme analytics_enabled mode title css * css_paths elem_classes elem_id head head_paths js visible
Box * visible elem_id **
Button value * variant size visible interactive elem_id elem_classes scale min_width **
CSVLogger *
Carousel *args **
ChatInterface fn * chatbot textbox additional_inputs additional_inputs_accordion_name examples cache_examples title
  description theme css analytics_enabled submit_btn stop_btn retry_btn undo_btn clear_btn autofocus
Chatbot value color_map * label every show_label container scale min_width visible elem_id elem_classes height
  latex_delimiters rtl show_share_button **
Checkbox value * label info every show_label container scale min_width interactive visible elem_id elem_classes **
CheckboxGroup choices * value type label info every show_label container scale min_width interactive visible elem_id
  elem_classes **
Checkboxgroup choices * value type label info every show_label container scale min_width interactive visible elem_id
  elem_classes **
ClearButton components * value variant size visible interactive elem_id elem_classes scale min_width **
Code value language * lines label interactive show_label container scale min_width visible elem_id elem_classes **
ColorPicker value * label info every show_label container scale min_width interactive visible elem_id elem_classes
  **
Column * scale min_width variant visible elem_id **
DataFrame value * headers row_count col_count datatype type max_rows max_cols overflow_row_behaviour label every
  show_label scale min_width interactive visible elem_id elem_classes wrap **
Dataframe value * headers row_count col_count datatype type max_rows max_cols overflow_row_behaviour label every
  show_label scale min_width interactive visible elem_id elem_classes wrap **
Dataset * label components samples headers type samples_per_page visible elem_id elem_classes container scale
  min_width **
Dropdown choices * value type multiselect max_choices label info every show_label container scale min_width
  interactive visible elem_id elem_classes allow_custom_value **
DuplicateButton * value variant size visible interactive elem_id elem_classes scale min_width _activate **
Error message
EventData target _data
Examples examples inputs outputs fn cache_examples examples_per_page _api_mode label elem_id run_on_click preprocess
  postprocess api_name batch
File value * file_count file_types type label every show_label container scale min_width interactive visible elem_id
  elem_classes **
Files value * file_count type label show_label interactive visible elem_id **
FlaggingCallback *args **
Gallery value * label every show_label container scale min_width visible elem_id elem_classes columns rows height
  preview object_fit allow_preview show_share_button **
Group * visible elem_id **
HTML value * label every show_label visible elem_id elem_classes **
Highlight value * color_map show_legend combine_adjacent adjacent_separator label every show_label container scale
  min_width visible elem_id elem_classes **
HighlightedText value * color_map show_legend combine_adjacent adjacent_separator label every show_label container
  scale min_width visible elem_id elem_classes **
Highlightedtext value * color_map show_legend combine_adjacent adjacent_separator label every show_label container
  scale min_width visible elem_id elem_classes **
HuggingFaceDatasetJSONSaver hf_token dataset_name organization private info_filename verbose
HuggingFaceDatasetSaver hf_token dataset_name organization private info_filename separate_dirs verbose
Image value * shape height width image_mode invert_colors source tool type label every show_label
  show_download_button container scale min_width interactive visible streaming elem_id elem_classes mirror_webcam
  brush_radius brush_color mask_opacity show_share_button **
ImageMask value * shape image_mode invert_colors source tool type label show_label interactive visible streaming
  elem_id mirror_webcam brush_radius brush_color **
ImagePaint value * shape image_mode invert_colors source tool type label show_label interactive visible streaming
  elem_id mirror_webcam brush_radius brush_color **
Info message
Interface fn inputs outputs examples cache_examples examples_per_page live interpretation num_shap title description
  article thumbnail theme css allow_flagging flagging_options flagging_dir flagging_callback analytics_enabled batch
  max_batch_size _api_mode allow_duplication * css_paths elem_classes elem_id head head_paths js visible
Interpretation component * visible elem_id elem_classes **
JSON value * label every show_label container scale min_width visible elem_id elem_classes **
Json value * label every show_label container scale min_width visible elem_id elem_classes **
Label value * num_top_classes label every show_label container scale min_width visible elem_id elem_classes color **
LinePlot value x y * color stroke_dash overlay_point title tooltip x_title y_title color_legend_title
  stroke_dash_legend_title color_legend_position stroke_dash_legend_position height width x_lim y_lim caption
  interactive label show_label container scale min_width every visible elem_id elem_classes
List value * headers row_count col_count datatype type max_rows max_cols overflow_row_behaviour label show_label
  interactive visible elem_id wrap **
Markdown value * visible elem_id elem_classes rtl **
Matrix value * headers row_count col_count datatype type max_rows max_cols overflow_row_behaviour label show_label
  interactive visible elem_id wrap **
Mic value * source type label show_label interactive visible streaming elem_id **
Microphone value * source type label show_label interactive visible streaming elem_id **
Model3D value * clear_color label every show_label container scale min_width visible elem_id elem_classes **
Number value * label info every show_label container scale min_width interactive visible elem_id elem_classes
  precision minimum maximum **
Numpy value * headers row_count col_count datatype type max_rows max_cols overflow_row_behaviour label show_label
  interactive visible elem_id wrap **
Paint value * shape image_mode invert_colors source tool type label show_label interactive visible streaming elem_id
  mirror_webcam brush_radius brush_color **
Parallel *args **
Pil value * shape image_mode invert_colors source tool type label show_label interactive visible streaming elem_id
  mirror_webcam brush_radius brush_color **
PlayableVideo value * format source label show_label interactive visible elem_id mirror_webcam include_audio **
Plot value * label every show_label container scale min_width visible elem_id elem_classes **
Progress track_tqdm _callback _event_id
Radio choices * value type label info every show_label container scale min_width interactive visible elem_id
  elem_classes **
Request request username **
Row * variant visible elem_id equal_height **
ScatterPlot value x y * color size shape title tooltip x_title y_title color_legend_title size_legend_title
  shape_legend_title color_legend_position size_legend_position shape_legend_position height width x_lim y_lim
  caption interactive label every show_label container scale min_width visible elem_id elem_classes
SelectData target data
Series *args **
SimpleCSVLogger *
Sketchpad value * shape image_mode invert_colors source tool type label show_label interactive visible streaming
  elem_id mirror_webcam brush_radius brush_color **
Slider minimum maximum value * step label info every show_label container scale min_width interactive visible
  elem_id elem_classes randomize **
State value **
StatusTracker **
Tab label * id elem_id **
TabItem label * id elem_id **
TabbedInterface interface_list tab_names title theme analytics_enabled css
Tabs * selected visible elem_id **
Text value * lines max_lines placeholder label info every show_label container scale min_width interactive visible
  elem_id autofocus elem_classes type text_align rtl show_copy_button **
TextArea value * lines max_lines placeholder label show_label interactive visible elem_id **
Textbox value * lines max_lines placeholder label info every show_label container scale min_width interactive
  visible elem_id autofocus elem_classes type text_align rtl show_copy_button **
Theme * primary_hue secondary_hue neutral_hue text_size spacing_size radius_size font font_mono
TimeSeries value * x y colors label every show_label container scale min_width interactive visible elem_id
  elem_classes **
Timeseries value * x y colors label every show_label container scale min_width interactive visible elem_id
  elem_classes **
UploadButton label value * variant visible size scale min_width interactive elem_id elem_classes type file_count
  file_types **
Variable *args **
Video value * format source height width label every show_label container scale min_width interactive visible
  elem_id elem_classes mirror_webcam include_audio autoplay show_share_button **
Warning message
Webcam value * shape image_mode invert_colors source tool type label show_label interactive visible streaming
  elem_id mirror_webcam brush_radius brush_color **
analytics
blocks
chat_interface
close_all verbose
component cls_name
components
context
current_pkg_version
data_classes
deploy *
deploy_space
deprecation
events
exceptions
external
external_utils
flagging
gradio
helpers
inputs
interface
interpretation
ipython_ext
layouts
load name src api_key hf_token alias **
load_ipython_extension ipython
make_waveform audio * bg_color bg_image fg_alpha bars_color bar_count bar_width animate
mix
mount_gradio_app app blocks path gradio_api_url app_kwargs
networking
outputs
pipelines
pkgutil
processing_utils
queueing
ranged_response
routes
skip *
strings
templates
themes
themes.Base * primary_hue secondary_hue neutral_hue text_size spacing_size radius_size font font_mono
themes.Color c50 c100 c200 c300 c400 c500 c600 c700 c800 c900 c950 name
themes.Default * primary_hue secondary_hue neutral_hue spacing_size radius_size text_size font font_mono
themes.Font name
themes.Glass * primary_hue secondary_hue neutral_hue spacing_size radius_size text_size font font_mono
themes.GoogleFont name weights
themes.Monochrome * primary_hue secondary_hue neutral_hue spacing_size radius_size text_size font font_mono
themes.Size xxs xs sm md lg xl xxl name
themes.Soft * primary_hue secondary_hue neutral_hue spacing_size radius_size text_size font font_mono
themes.ThemeClass *
tunneling
update **
utils
wasm_utils
"""
